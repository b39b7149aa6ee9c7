"""Joints and body parts by which evaluation sets of propagation call them, in the order of their files."""

# Jhuang et al. 2013.
JHMDB_JOINTS: tuple[str, ...] = (
    "neck", "belly", "face", "right-shoulder", "left-shoulder", "right-hip", "left-hip", "right-elbow", "left-elbow",
    "right-knee", "left-knee", "right-wrist", "left-wrist", "right-ankle", "left-ankle",
)  # fmt: skip
# Zhou et al. 2018 (arXiv:1808.00661).
VIP_CLASSES: tuple[str, ...] = (
    "background", "hat", "hair", "sun-glasses", "upper-clothes", "dress", "coat", "socks", "pants", "gloves", "scarf",
    "skirt", "torso-skin", "face", "right-arm", "left-arm", "right-leg", "left-leg", "right-shoe", "left-shoe",
)  # fmt: skip
