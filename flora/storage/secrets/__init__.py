"""Secrets of guilds: encrypted at rest, shown to scripts as placeholders, filled in on the way out.

A script never holds a secret. It gets a placeholder, puts it where the secret belongs, and the host replaces
it in what is sent to a host that the secret is allowed for.
"""

from flora.storage.secrets.keys import KeyRing as KeyRing
from flora.storage.secrets.keys import MasterKey as MasterKey
from flora.storage.secrets.keys import MasterKeyError as MasterKeyError
from flora.storage.secrets.vault import GuildSecrets as GuildSecrets
from flora.storage.secrets.vault import SecretError as SecretError
from flora.storage.secrets.vault import SecretInfo as SecretInfo
from flora.storage.secrets.vault import SecretVault as SecretVault
