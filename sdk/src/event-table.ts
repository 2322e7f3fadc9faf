// Made from schema/events.json by `python -m tools.generate_events`.

/** Events whose names do not follow from Discord's. */
export const renamed: { readonly [dispatch: string]: string } = {
  MESSAGE_REACTION_ADD: "reactionAdd",
  MESSAGE_REACTION_REMOVE: "reactionRemove",
  MESSAGE_REACTION_REMOVE_EMOJI: "reactionRemoveEmoji",
  MESSAGE_REACTION_REMOVE_ALL: "reactionRemoveAll",
};

/** Events by the type of their interaction. */
export const interactions: readonly (readonly [type: number, event: string])[] = [
  [2, "interactionCreate"],
  [3, "componentInteraction"],
  [5, "modalSubmit"],
  [4, "autocomplete"],
];
