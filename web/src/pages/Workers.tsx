import { Chart } from "../components/Chart";
import { Loading } from "../components/Notice";
import { Ago } from "../components/Status";
import { useTelemetry } from "../context";
import { number } from "../format";
import { useNow, useTitle } from "../hooks";

/** The prefixes of the queue names, one for each kind of worker. */
const KINDS = ["text", "image", "audio", "language"];

export function Workers() {
  const { samples, workers, isStale } = useTelemetry();
  const now = useNow(10_000);
  const last = samples.at(-1);
  useTitle("Workers");
  if (!last || !workers) {
    return (
      <div className="wide page">
        <h1>Workers</h1>
        {isStale ? (
          <p className="muted">The API is not responding. The page will try again.</p>
        ) : (
          <Loading what="workers" />
        )}
      </div>
    );
  }
  const times = samples.map((sample) => sample.at);
  const depth = (kind: string, of: "visible" | "in_flight") =>
    samples.map(({ stats }) =>
      stats.queues
        .filter((queue) => queue.name.startsWith(kind))
        .reduce((sum, queue) => sum + queue[of] + (of === "visible" ? queue.delayed : 0), 0),
    );
  return (
    <div className="wide page">
      <header>
        <h1>Workers</h1>
        <p className="muted">The charts begin when this page was opened.</p>
        {isStale && <p className="error-text">The API is not responding. The figures are the last known ones.</p>}
      </header>
      <div className="charts">
        <Chart
          title="Queue depth"
          unit="messages waiting"
          times={times}
          lines={KINDS.map((name) => ({ name, values: depth(name, "visible") }))}
        />
        <Chart
          title="In flight"
          unit="messages in processing"
          times={times}
          lines={KINDS.map((name) => ({ name, values: depth(name, "in_flight") }))}
        />
        <Chart
          title="Tasks running"
          unit="by worker"
          times={times}
          lines={workers.map((worker) => ({
            name: worker.name.replace("-worker", ""),
            values: samples.map((sample) => sample.running[worker.name] ?? 0),
          }))}
        />
        <Chart
          title="Throughput"
          unit="tasks per minute"
          times={times}
          lines={[
            { name: "submitted", values: samples.map(({ stats }) => stats.per_minute.submitted.last_1) },
            { name: "finished", values: samples.map(({ stats }) => stats.per_minute.finished.last_1) },
          ]}
        />
      </div>
      <section className="card" aria-label="The last hour">
        <h2>The last hour</h2>
        <div className="scroll" tabIndex={0} role="region" aria-label="Workers, the last hour">
          <table>
            <thead>
              <tr>
                <th scope="col">Worker</th>
                <th scope="col">Running</th>
                <th scope="col">Limit</th>
                <th scope="col">Processed</th>
                <th scope="col">Failed</th>
                <th scope="col">Retried</th>
                <th scope="col">Mean batch</th>
                <th scope="col">Cold starts</th>
                <th scope="col">Last seen</th>
              </tr>
            </thead>
            <tbody>
              {workers.map((worker) => (
                <tr key={worker.name}>
                  <th scope="row">{worker.name}</th>
                  <td>{number(worker.running)}</td>
                  <td
                    title={Object.entries(worker.limits)
                      .map(([lane, limit]) => `${lane} ${limit}`)
                      .join(", ")}
                  >
                    {number(worker.limit)}
                  </td>
                  <td>{number(worker.processed)}</td>
                  <td>{number(worker.failed)}</td>
                  <td>{number(worker.retried)}</td>
                  <td>{worker.mean_batch == null ? "–" : number(worker.mean_batch)}</td>
                  <td>{number(worker.cold_starts)}</td>
                  <td>{worker.last_seen == null ? "–" : <Ago time={worker.last_seen} now={now} />}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </section>
    </div>
  );
}
