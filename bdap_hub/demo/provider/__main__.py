"""`python -m bdap_hub.demo.provider`: run the demo's OpenID provider."""

import sys

from ... import settings
from ...errors import BdapError
from .server import main

try:
    main(settings.load())
except BdapError as error:
    sys.exit(f"{error.message}: {error.remedy}" if error.remedy else error.message)
