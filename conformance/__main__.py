"""`python -m conformance`: see `conformance.command_line`."""

import sys

from conformance.command_line import main

sys.exit(main())
