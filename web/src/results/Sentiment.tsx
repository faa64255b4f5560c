import { percent } from "../words";
import { Labels } from "./Labels";

export interface SentimentResult {
  label: "POSITIVE" | "NEGATIVE" | "NEUTRAL";
  score: number;
  positive: number;
}

export function Sentiment({ result }: { result: SentimentResult }) {
  const sides = [
    { label: "Positive", score: result.positive },
    { label: "Negative", score: 1 - result.positive },
  ];
  sides.sort((one, other) => other.score - one.score);
  return (
    <>
      <p className={`verdict ${result.label.toLowerCase()}`}>
        <strong>{result.label}</strong>
        <span className="muted"> sure by {percent(result.score)}</span>
      </p>
      <Labels scores={sides} />
    </>
  );
}
