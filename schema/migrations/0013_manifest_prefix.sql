-- With a prefix the script wants only those messages of people that begin with it; null: every message.
alter table guild_manifests add column prefix text;
