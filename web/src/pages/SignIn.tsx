import { type FormEvent, useState } from "react";

import { Client, Problem } from "../api/client";
import { useTitle } from "../context";
import { Logo, ThemeButton } from "../parts/Brand";
import type { Theme } from "../session";

export function SignIn({
  isExpired,
  signIn,
  theme,
  toggleTheme,
}: {
  isExpired: boolean;
  signIn: (token: string) => void;
  theme: Theme;
  toggleTheme: () => void;
}) {
  const [token, setToken] = useState("");
  const [isAsking, setAsking] = useState(false);
  const [told, setTold] = useState(isExpired ? "The token is no longer accepted. Sign in with the one that is." : "");

  useTitle("Sign in");

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (isAsking) return;
    const given = token.trim();
    // What no header can carry is no token, and the browser would refuse to send it.
    if (!/^[\x21-\x7e]+$/.test(given)) {
      setTold(given ? "A token is made of visible ASCII characters, without spaces." : "Enter the token first.");
      return;
    }
    setTold("");
    setAsking(true);
    try {
      await new Client(given).changes(undefined);
      signIn(given);
    } catch (error) {
      const { status, message } = Problem.of(error);
      setTold(status === 401 ? "This token is not accepted here. Check that it belongs to this address." : message);
      setAsking(false);
    }
  };

  return (
    <main className="sign-in">
      <div className="corner">
        <ThemeButton theme={theme} toggle={toggleTheme} />
      </div>
      <form className="card" onSubmit={(event) => void submit(event)}>
        <Logo />
        <h1>Sign in to AI Mesh</h1>
        <p className="muted">The dashboard acts with your service token, which this tab forgets when it is closed.</p>
        <label htmlFor="token">Service token</label>
        <input
          id="token"
          type="password"
          autoComplete="off"
          spellCheck={false}
          autoFocus
          value={token}
          aria-invalid={told !== ""}
          aria-describedby="told"
          onChange={(event) => setToken(event.target.value)}
        />
        <p id="told" className="error-text" role="alert">
          {told}
        </p>
        <button type="submit" className="primary" aria-disabled={isAsking}>
          {isAsking ? "Signing in…" : "Sign in"}
        </button>
        <p className="muted small">
          The API itself is told at <a href="docs">docs</a>.
        </p>
      </form>
    </main>
  );
}
