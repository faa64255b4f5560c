import { useState } from "react";

import type { Link, PageResult } from "../api/types";
import { Copy } from "../components/Copy";
import { percent } from "../format";
import { ExtractedFields } from "./ExtractedFields";
import { Outline, Overlay } from "./Overlay";

export function Page({ result, link, renew }: { result: PageResult; link: Link | undefined; renew: () => void }) {
  const [selected, setSelected] = useState<number | null>(null);
  return (
    <div className="stacked">
      <Overlay link={link} alt="The submitted page. Its lines follow." renew={renew}>
        {(thickness) =>
          result.lines.map(({ box }, at) => (
            <g key={at} onPointerEnter={() => setSelected(at)} onPointerLeave={() => setSelected(null)}>
              <Outline box={box} thickness={thickness / 1.6} isSelected={selected === at} />
            </g>
          ))
        }
      </Overlay>
      {result.lines.length === 0 ? (
        <p className="muted">No line found.</p>
      ) : (
        <ExtractedFields items={result.lines} className="extracted lines" selection={{ selected, select: setSelected }}>
          {({ text, score }) => (
            <>
              <span dir="auto">{text}</span>
              <span className="muted small">{percent(score)}</span>
            </>
          )}
        </ExtractedFields>
      )}
      {result.text && <Copy text={result.text} what="the text" />}
    </div>
  );
}
