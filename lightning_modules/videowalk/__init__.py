"""The contrastive random walk: encoder, walks over a clip, training, and labels carried through a video."""
