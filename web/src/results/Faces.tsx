import { useState } from "react";

import type { Box, Link } from "../api/types";
import { percent } from "../words";
import { Found } from "./Found";
import { Outline, Overlay } from "./Overlay";

export interface FaceDetection {
  count: number;
  faces: { box: Box; score: number; landmarks: { x: number; y: number }[] }[];
}

export function Faces({ result, link, renew }: { result: FaceDetection; link: Link | undefined; renew: () => void }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const told = result.count === 0 ? "No face was found" : `${result.count} ${result.count === 1 ? "face" : "faces"}`;
  return (
    <div className="beside">
      <Overlay link={link} alt={`The photograph. ${told}.`} renew={renew}>
        {(thickness) =>
          result.faces.map(({ box, landmarks }, at) => (
            <g key={at} className="face" onPointerEnter={() => setChosen(at)} onPointerLeave={() => setChosen(null)}>
              <Outline box={box} thickness={thickness} isChosen={chosen === at} />
              {landmarks.map((point, index) => (
                <circle key={index} className="landmark" cx={point.x} cy={point.y} r={thickness} />
              ))}
            </g>
          ))
        }
      </Overlay>
      <div>
        <p className="verdict">
          <strong>{told}</strong>
        </p>
        <Found items={result.faces} className="found" choice={{ chosen, choose: setChosen }}>
          {({ box, score }, at) => (
            <>
              <span>Face {at + 1}</span>
              <span className="muted small">
                {Math.round(box.width)} × {Math.round(box.height)} px
              </span>
              <span>{percent(score)}</span>
            </>
          )}
        </Found>
      </div>
    </div>
  );
}
