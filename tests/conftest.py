"""What holds for every test: hypothesis has no deadline (machines are shared) and prints how to run a failure again."""

from hypothesis import settings

settings.register_profile("lorebank", deadline=None, print_blob=True)
settings.load_profile("lorebank")
