import { useState } from "react";

import type { Link } from "../api/types";

/** A link counts as expired this long before it is, so that a picture that is loading is not cut off. */
export const EXPIRY_MARGIN_MS = 60_000;

/** Keeps the first link to an object until it expires: each response of the API signs a new link to the same object. */
export function useStableLink(link: Link | undefined): Link | undefined {
  const [stable, setStable] = useState(link);
  if (stable === link) return stable;
  const isValid =
    stable && link && stable.sha256 === link.sha256 && Date.parse(stable.expires_at) - EXPIRY_MARGIN_MS > Date.now();
  if (isValid) return stable;
  setStable(link);
  return link;
}
