"""Networks of SkeletonCLIP++: SlowOnly over heatmaps, BERT over class texts, the tokenizer between words and BERT."""
