import { Component, type ReactNode } from "react";

interface State {
  /** An object, because a component may throw any value, null too. */
  failure: { error: unknown } | null;
}

/** Shows the fallback in place of children that throw while they are rendered; the rest of the page stays. */
export class Boundary extends Component<{ fallback: (error: unknown) => ReactNode; children: ReactNode }, State> {
  override state: State = { failure: null };

  static getDerivedStateFromError(error: unknown): State {
    return { failure: { error } };
  }

  override render(): ReactNode {
    return this.state.failure ? this.props.fallback(this.state.failure.error) : this.props.children;
  }
}
