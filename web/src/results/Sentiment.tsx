import type { SentimentResult } from "../api/types";
import { percent } from "../format";
import { Labels } from "./Labels";

export function Sentiment({ result }: { result: SentimentResult }) {
  const sides = [
    { label: "Positive", score: result.positive },
    { label: "Negative", score: 1 - result.positive },
  ];
  sides.sort((one, other) => other.score - one.score);
  return (
    <>
      <p className={`headline ${result.label.toLowerCase()}`}>
        <strong>{result.label}</strong>
        <span className="muted"> with a score of {percent(result.score)}</span>
      </p>
      <Labels scores={sides} />
    </>
  );
}
