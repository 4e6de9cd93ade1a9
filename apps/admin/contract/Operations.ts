/**
 * What operators ask for, and what they are answered: one shape for everything that changes something.
 */
import { Schema } from "effect"
import { Description } from "#infra/http/Values.ts"

/** Nothing is done without a reason; nothing need be done to know what would be. */
export const Decision = Schema.Struct({
  reason: Description.annotate({ description: "Why; it is kept for ever, with your name. 1 to 500 characters" }),
  dry_run: Schema.optionalKey(Schema.Boolean.annotate({
    description: "Says what would be done, and does nothing; false unless given"
  }))
}).annotate({ identifier: "Decision" })

export const Operation = Schema.Struct({
  object: Schema.Literal("operation"),
  action: Schema.String.annotate({ description: "Such as break.resolve" }),
  subject: Schema.String.annotate({ description: "What it was done to" }),
  dry_run: Schema.Boolean,
  changed: Schema.Boolean.annotate({
    description: "Was anything changed? Not by a dry run, and not by asking for what was done before"
  }),
  says: Schema.String.annotate({ description: "What was done, or would be, in a sentence" }),
  resource: Schema.NullOr(Schema.String).annotate({
    description: "What came of it, such as the transfer of an adjustment"
  })
}).annotate({ identifier: "Operation" })
