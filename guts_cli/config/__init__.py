"""A node's configuration: one class, a file, environment variables and flags."""

from .address import HTTP_PORT_DEFAULT as HTTP_PORT_DEFAULT
from .address import P2P_PORT_DEFAULT as P2P_PORT_DEFAULT
from .address import PORT_MAX as PORT_MAX
from .address import Address as Address
from .doors import check_doors as check_doors
from .pages import config_text as config_text
from .sections import SETTINGS as SETTINGS
from .sections import Config as Config
from .sections import Setting as Setting
from .sources import CONFIG_FILE as CONFIG_FILE
from .sources import DEFAULT as DEFAULT
from .sources import BadConfiguration as BadConfiguration
from .sources import Given as Given
from .sources import Loaded as Loaded
from .sources import load as load
from .sources import set_flag as set_flag
