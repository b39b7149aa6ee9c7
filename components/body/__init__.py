"""Skeletons, pose formats and bodies in SMPL form."""

from components.body.loader import load_body as load_body
from components.body.model import BodyModel as BodyModel
from components.body.model import BodyOutput as BodyOutput
