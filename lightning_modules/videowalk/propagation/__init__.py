"""Labels of the first frame carried through a video by feature similarity (CRW, section 4)."""
