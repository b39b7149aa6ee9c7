"""Networks of ACTOR: attention blocks, the transformer encoder and decoder, and the CVAE that holds one of each."""
