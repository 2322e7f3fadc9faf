"""The playground's gateway: Discord's v10 gateway protocol, server side."""
