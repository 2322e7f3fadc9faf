"""What a guild script may ask of the host: one file for each family of ops, all of them in one table."""

from flora.ops import catalog as catalog
from flora.ops import commands as commands
from flora.ops import crypto as crypto
from flora.ops import fetch as fetch
from flora.ops import guild as guild
from flora.ops import interactions as interactions
from flora.ops import kv as kv
from flora.ops import messages as messages
from flora.ops import secrets as secrets
from flora.ops import tasks as tasks
from flora.ops import uploads as uploads
from flora.ops import webhooks as webhooks
from flora.ops.table import OpContext as OpContext
from flora.ops.table import op_names as op_names
from flora.ops.table import run_op as run_op
