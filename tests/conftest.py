"""What all tests share: the profiles of the random ones.

`make test` draws the same examples every time, so that it fails for a change and not by luck;
`make nightly` draws new ones, and more of them.
"""

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("nightly", deadline=None, print_blob=True)
settings.load_profile("same")
