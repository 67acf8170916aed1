"""`python -m evidence.dossier FILE`."""

import sys

from evidence.dossier.command import main

sys.exit(main())
