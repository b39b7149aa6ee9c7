"""A small WordPiece vocabulary of our own, for tests and for text encoders that start at random.

It knows the words of common action labels whole. Every other word is split into the endings, pairs of letters and
letters below, so that no English text is unknown. Other scripts than the Latin one need a published vocabulary.
"""

import string
from itertools import product

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ENDINGS = "s es ed er ers ing ings ly ness tion tions ment ful less able ball board side back up down out"
_WORDS = """
above action again and ankle another answer apart apply archery are arm arms around arrow baby back backache
backward bag balance ball balls band bar bars baseball basket basketball bat beam beard bed been behind being below
bench bend bending between bike biking billiards block blow blowing board boarding body book both bottle bounce bow
bowing bowling box boxing boy breast broom brush brushing bunk butt call candles cap car carry carrying cartwheel
catch cello chair check checking cheer cheers chest chew child chin circles clap clapping class clean cliff climb
climbing clip close club coin comb condition cook cough counting crawl crawling cream cricket cross crossing cry
cube cup cutting daf dance dancer dancing dhol different discus dive diving dodge dog door down draw dress dribble
drink drinking drop dropping drumming dry dunk each ear eat eating elbow everything exchange exercise eye face fall
falling fan far fast feeling feet fencing field finger fingers first fishing fist five flac flic flick floor flute
fold follow foot football for frame frames frisbee from front game girl give giving glass glasses golf grab greet
guessing guitar gun gymnastics hair haircut hammer hammering hand hands handshaking handstand hat head headache
headphone heart heavy heel her high hip his hit hockey hold holding hoop hop hopping horse hug hugging hula human
hush ice index indoor into its jack jacket javelin jerk jog jogging judo juggling jump jumped jumping karate
kayaking keyboard kick kicking kicks kiss kitchen knee kneel kneeling knife knitting knock label ladder laugh lean
leap left leg lie lift lifting lipstick long low lower lunge lunges lying magic make makeup making man march
marching massage meal military mixing money mopping motion mouth move movement nails name nausea near neck neckache
nod nodding nose not nothing nunchucks object objects off one oneself onto open other out over pain palms
paper parade parallel pass pat patting pen penalty people performer person phone photo piano pick picking pickup
pitch pizza place plank plate play player playing pocket point pointing pole pommel poses position pour
press pull pullup punch punching push pushing pushup pushups put putting quickly quiet quite race rafting raise
raising reach reaching read reading remove ride riding right ring rings rise rock roll rolling rope rowing rub
rubbing run running runs salsa salute same say scissors second selfie serve shake shaking shave shaving she shoe
shoot shooting shot shotput shoulder shrug side sign sing sit sitar sitting situp skate skating skeleton skiing
skijet skip sky slap slapping sleep slow slowly smell smile smoke snack snapping sneeze sniff soccer somebody
someone somersault something speak speed spiking spin spoon sport spot sprint squat squats staggering stairs stand
standing staple step stick still stomachache stop stretch stretching strike stroke stuff sumo support surfing swim
swimming swing swings sword tabla table tablet taichi take taking talk tear tearing teeth tennis text the their then
they things throw throwing thrown thumb time toe together toss tossing touch touching towards trampoline turn turns
twist two type typing under uneven ups use using vault victory video violin volleyball vomiting waist wake walk
walked walking walks wall warm was wash washing watch water wave waving wear wearing weight while whisper who wield
window wipe wiping with without woman wrestling wrist write writing yawn yoga yoyo
"""


def builtin_vocabulary() -> list[str]:
    """Tokens in the order of their ids; [PAD] has id 0. Tokens that continue a word begin with `##`."""
    letters = [*string.ascii_lowercase, *string.digits]
    pairs = ["".join(pair) for pair in product(string.ascii_lowercase, repeat=2)]
    starts = [*string.punctuation, *letters, *pairs, *_WORDS.split()]
    inner = [f"##{piece}" for piece in (*letters, *pairs, *_ENDINGS.split())]
    return list(dict.fromkeys((*_SPECIAL, *starts, *inner)))
