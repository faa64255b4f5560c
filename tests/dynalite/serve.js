// Serves dynalite, an emulator of DynamoDB, at a free port of 127.0.0.1. It prints the port, and ends with its standard input.
//
// dynalite does not know ReturnValuesOnConditionCheckFailure, which DynamoDB added in 2023, and our writes depend on it:
// https://github.com/architect/dynalite/issues/182
// So it is added here: a refused write returns the item as it is, as DynamoDB documents it.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
"use strict";

const dynalite = require("dynalite");
const db = require("dynalite/db");

for (const call of ["putItem", "updateItem"]) {
  const { types } = require(`dynalite/validations/${call}`);
  types.ReturnValuesOnConditionCheckFailure = { type: "String", enum: ["ALL_OLD", "NONE"] };
}
const { checkConditional } = db;
db.checkConditional = (request, item) => {
  const refusal = checkConditional(request, item);
  if (refusal && item && request.ReturnValuesOnConditionCheckFailure === "ALL_OLD") {
    refusal.body.Item = item;
  }
  return refusal;
};

const server = dynalite({ createTableMs: 0 });
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("end", () => process.exit());
