"""SkeletonCLIP++: skeleton clips matched with words; encoders, objectives, training."""
