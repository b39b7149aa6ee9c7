"""Networks of the contrastive random walk: encoders of pictures, the network that makes nodes of a clip."""
