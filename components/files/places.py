"""Where things of ours lie inside folders of the user's."""

# Beside the data that they were made from.
CACHE_FOLDER = ".troupe_cache"
