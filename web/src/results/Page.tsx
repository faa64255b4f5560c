import { useState } from "react";

import type { Box, Link } from "../api/types";
import { Copy } from "../parts/Copy";
import { percent } from "../words";
import { Found } from "./Found";
import { Outline, Overlay } from "./Overlay";

export interface PageResult {
  text: string;
  lines: { text: string; score: number; box: Box }[];
}

export function Page({ result, link, renew }: { result: PageResult; link: Link | undefined; renew: () => void }) {
  const [chosen, setChosen] = useState<number | null>(null);
  return (
    <div className="stacked">
      <Overlay link={link} alt="The page that was read. Its lines follow." renew={renew}>
        {(thickness) =>
          result.lines.map(({ box }, at) => (
            <g key={at} onPointerEnter={() => setChosen(at)} onPointerLeave={() => setChosen(null)}>
              <Outline box={box} thickness={thickness / 1.6} isChosen={chosen === at} />
            </g>
          ))
        }
      </Overlay>
      {result.lines.length === 0 ? (
        <p className="muted">No line was found.</p>
      ) : (
        <Found items={result.lines} className="found lines" choice={{ chosen, choose: setChosen }}>
          {({ text, score }) => (
            <>
              <span dir="auto">{text}</span>
              <span className="muted small">{percent(score)}</span>
            </>
          )}
        </Found>
      )}
      {result.text && <Copy text={result.text} what="the text" />}
    </div>
  );
}
