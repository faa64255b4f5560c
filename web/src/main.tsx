import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./App";
import "./style/base.css";
import "./style/layout.css";
import "./style/components.css";
import "./style/pages.css";
import "./style/results.css";

const root = document.getElementById("root");
if (root) {
  // The page shows a caught error; the console has its stack trace.
  createRoot(root, { onCaughtError: (error) => console.warn(error) }).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
