"""`micropython -m carbonterm_device …`"""

import sys

from carbonterm_device.app import main

sys.exit(main(sys.argv[1:]))
