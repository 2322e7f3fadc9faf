"""Key-value stores of guilds: one SQLite file for each guild, group commit, backups."""

from flora.storage.kv.backups import Backup as Backup
from flora.storage.kv.errors import KvError as KvError
from flora.storage.kv.limits import KvLimits as KvLimits
from flora.storage.kv.service import GuildKv as GuildKv
