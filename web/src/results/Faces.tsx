import { useState } from "react";

import type { FaceDetection, Link } from "../api/types";
import { percent } from "../format";
import { ExtractedFields } from "./ExtractedFields";
import { Outline, Overlay } from "./Overlay";

export function Faces({ result, link, renew }: { result: FaceDetection; link: Link | undefined; renew: () => void }) {
  const [selected, setSelected] = useState<number | null>(null);
  const summary = result.count === 0 ? "No face found" : `${result.count} ${result.count === 1 ? "face" : "faces"}`;
  return (
    <div className="beside">
      <Overlay link={link} alt={`The photograph. ${summary}.`} renew={renew}>
        {(thickness) =>
          result.faces.map(({ box, landmarks }, at) => (
            <g
              key={at}
              className="face"
              onPointerEnter={() => setSelected(at)}
              onPointerLeave={() => setSelected(null)}
            >
              <Outline box={box} thickness={thickness} isSelected={selected === at} />
              {landmarks.map((point, index) => (
                <circle key={index} className="landmark" cx={point.x} cy={point.y} r={thickness} />
              ))}
            </g>
          ))
        }
      </Overlay>
      <div>
        <p className="headline">
          <strong>{summary}</strong>
        </p>
        <ExtractedFields items={result.faces} className="extracted" selection={{ selected, select: setSelected }}>
          {({ box, score }, at) => (
            <>
              <span>Face {at + 1}</span>
              <span className="muted small">
                {Math.round(box.width)} × {Math.round(box.height)} px
              </span>
              <span>{percent(score)}</span>
            </>
          )}
        </ExtractedFields>
      </div>
    </div>
  );
}
