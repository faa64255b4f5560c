import { useState } from "react";

import type { Link } from "../api/types";

/** Before it expires: a picture that is being loaded should not be cut off. */
export const MARGIN_MS = 60_000;

/** A link that stays the same while it is good: each answer of the API signs a new one for the same object. */
export function useSteady(link: Link | undefined): Link | undefined {
  const [kept, setKept] = useState(link);
  if (kept === link) return kept;
  const isGood = kept && link && kept.sha256 === link.sha256 && Date.parse(kept.expires_at) - MARGIN_MS > Date.now();
  if (isGood) return kept;
  setKept(link);
  return link;
}
