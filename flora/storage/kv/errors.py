"""What the KV store refuses, and why. Scripts see each as a `KvError` with the same `code`."""

from __future__ import annotations

from flora.errors import FloraError


class KvError(FloraError):
    code = "KV_ERROR"


class KvInvalidInputError(KvError):
    """An argument is not one that the store takes; the message names it."""

    code = "KV_INVALID_INPUT"


class KvTooLargeError(KvError):
    """One value or entry is over its limit."""

    code = "KV_TOO_LARGE"


class KvQuotaError(KvError):
    """The store or the guild would hold more than it may."""

    code = "KV_QUOTA_EXCEEDED"


class KvRateLimitedError(KvError):
    code = "KV_RATE_LIMITED"


class KvKeyNotFoundError(KvError):
    code = "KV_KEY_NOT_FOUND"


class KvStoreNotFoundError(KvError):
    code = "KV_STORE_NOT_FOUND"


class KvStoreExistsError(KvError):
    code = "KV_STORE_CONFLICT"


class KvBackupNotFoundError(KvError):
    code = "KV_BACKUP_NOT_FOUND"


class KvNumberError(KvError):
    """`increment` met a value that is not a whole number, or would leave the safe integers."""

    code = "KV_NOT_A_NUMBER"


class KvStorageFullError(KvError):
    """The disk is full; nothing of the operation was applied."""

    code = "KV_STORAGE_FULL"


class KvCorruptError(KvError):
    """The guild's file cannot be read as what flora wrote."""

    code = "KV_CORRUPT"


class KvBusyError(KvError):
    """More operations of the guild wait than may."""

    code = "KV_BUSY"


class KvUnavailableError(KvError):
    """The store is closed or its disk fails."""

    code = "KV_UNAVAILABLE"
