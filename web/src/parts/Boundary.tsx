import { Component, type ReactNode } from "react";

interface State {
  failure: { error: unknown } | null;
}

/** What can't be drawn takes nothing else along: something else is shown in its place. */
export class Boundary extends Component<{ instead: (error: unknown) => ReactNode; children: ReactNode }, State> {
  override state: State = { failure: null };

  static getDerivedStateFromError(error: unknown): State {
    return { failure: { error } };
  }

  override render(): ReactNode {
    return this.state.failure ? this.props.instead(this.state.failure.error) : this.props.children;
  }
}
