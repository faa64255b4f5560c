import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  // Relative, because the page's address has a prefix that differs by stack: a stage, or a path of a local cloud.
  base: "./",
  build: {
    outDir: process.env["AI_MESH_WEB_OUT"] ?? "dist",
    emptyOutDir: true,
    target: "es2022",
    // The page's security policy forbids data: URLs.
    assetsInlineLimit: 0,
    // The page has one script, so that there is nothing to preload.
    modulePreload: false,
    // React's licence requires its notice in copies.
    rolldownOptions: { output: { comments: { legal: true } } },
  },
});
