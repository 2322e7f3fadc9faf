"""`flora test`: an author's `*.test.ts` in real guild processes, over the production SDK, ops and KV.

    bundle      (flora.build) a test file and the bot as one script
    world       the test's guild: a playground of its own, whose clock stands still
    session     one test in one process: what the test kit inside it (`sdk/src/testing`) asks for
    runner      files, tests, outcomes

Discord's side is the playground's, so that a test is answered as a person who plays the bot would be.
"""
