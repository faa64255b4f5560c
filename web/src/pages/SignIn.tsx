import { type FormEvent, useState } from "react";

import { Client, Problem } from "../api/client";
import { Logo, ThemeButton } from "../components/Brand";
import { useTitle } from "../hooks";
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
  const [isChecking, setChecking] = useState(false);
  const [message, setMessage] = useState(isExpired ? "The token is no longer valid. Sign in with a valid one." : "");

  useTitle("Sign in");

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (isChecking) return;
    const entered = token.trim();
    // The token is sent in a header, and browsers refuse other characters there.
    if (!/^[\x21-\x7e]+$/.test(entered)) {
      setMessage(entered ? "A token has visible ASCII characters only, without spaces." : "Enter the token first.");
      return;
    }
    setMessage("");
    setChecking(true);
    try {
      await new Client(entered).changes(undefined);
      signIn(entered);
    } catch (error) {
      const problem = Problem.from(error);
      const wrongToken = "This stack does not accept the token. Check that it belongs to this address.";
      setMessage(problem.status === 401 ? wrongToken : problem.message);
      setChecking(false);
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
        <p className="muted">
          The dashboard sends your service token with each request. This tab stores it until it is closed.
        </p>
        <label htmlFor="token">Service token</label>
        <input
          id="token"
          type="password"
          autoComplete="off"
          spellCheck={false}
          autoFocus
          value={token}
          aria-invalid={message !== ""}
          aria-describedby="message"
          onChange={(event) => setToken(event.target.value)}
        />
        <p id="message" className="error-text" role="alert">
          {message}
        </p>
        <button type="submit" className="primary" aria-disabled={isChecking}>
          {isChecking ? "Signing in…" : "Sign in"}
        </button>
        <p className="muted small">
          The API is documented at <a href="docs">docs</a>.
        </p>
      </form>
    </main>
  );
}
