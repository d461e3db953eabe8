"""The installed version of this package."""

from importlib.metadata import PackageNotFoundError, version

UNINSTALLED = "0+checkout"
"""The version of a plain checkout that no installer has seen, e.g. Ray's working_dir."""


def installed_version() -> str:
    """Version of the installed package, or UNINSTALLED."""
    try:
        return version("lorebank")
    except PackageNotFoundError:
        return UNINSTALLED


__version__ = installed_version()
