"""Reading and writing of videos and pictures, grids, film strips, captions and stick figures."""

from components.media.pictures import draw_text as draw_text
from components.media.pictures import film_strip as film_strip
from components.media.pictures import gif_pace as gif_pace
from components.media.pictures import image_grid as image_grid
from components.media.pictures import write_gif as write_gif
from components.media.pictures import write_png as write_png
from components.media.video import Video as Video
from components.media.video import read_video as read_video
from components.media.video import write_mp4 as write_mp4
