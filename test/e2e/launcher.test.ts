// `svid run --as NAME`: a launcher that the agent's configuration lists names its children, and nobody else.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { choosePorts } from '../../cli/up/ports.ts';
import { Guide } from '../support/guide.ts';

let guide: Guide;
const sh = (text: string) => guide.step({ language: 'sh', attributes: '', text });
const file = (name: string, text: string) =>
  guide.step({ language: 'yaml', attributes: `file=${name}`, text });
const start = (text: string) => guide.step({ language: 'sh', attributes: 'background', text });

beforeAll(async () => {
  const { server } = await choosePorts([]);
  guide = await Guide.open((text) => text);
  await file(
    'server.yaml',
    `trust_domain: example.org\ndata_dir: ./server\nsocket_path: ./server.sock\nlisten: 127.0.0.1:${server}\n`,
  );
  await start('svid server --config server.yaml');
  await sh(`export SIGIL_SERVER_SOCKET="$PWD/server.sock"
export SIGIL_AGENT_ADMIN_SOCKET="$PWD/admin.sock"
export SPIFFE_ENDPOINT_SOCKET="unix://$PWD/agent.sock"
svid bundle show > bundle.pem
svid token create --spiffe-id spiffe://example.org/node > token
svid entry create --spiffe-id spiffe://example.org/orders --parent-id spiffe://example.org/node \\
  --selector launch:name:orders --selector "unix:uid:$(id -u)"`);
  await file(
    'agent.yaml',
    `trust_domain: example.org
data_dir: ./agent
server: 127.0.0.1:${server}
trust_bundle_file: bundle.pem
join_token_file: token
socket_path: ./agent.sock
admin_socket_path: ./admin.sock
launchers:
  - { uid: ${process.getuid!()}, names: [orders, 'orders-2'] }
`,
  );
  await start('svid agent --config agent.yaml');
}, 60_000);
afterAll(() => guide.close());

describe('svid run --as', () => {
  it('gives the command the identity of its name', async () => {
    const output = await sh('svid run --as orders -- svid x509 fetch');
    expect(output).toMatch(/SPIFFE ID: +spiffe:\/\/example\.org\/orders/);
  });

  it('gives the command its exit code, arguments and standard input', async () => {
    const output = await sh(
      `echo in | svid run --as orders -- sh -c 'cat; echo "$1"; exit 7' sh 'a  b' || echo "code $?"`,
    );
    expect(output).toBe('in\na  b\ncode 7\n');
  });

  it('gives nothing to a child of the command, and nothing once it has ended', async () => {
    const child = await sh('svid run --as orders -- sh -c "svid x509 fetch; true"');
    expect(child).toMatch(/^svid: error: the agent has no identity for this process/);
    await expect(sh('svid x509 fetch')).rejects.toThrow(/no identity for this process/);
  });

  it('refuses a name that is not listed, and the command does not run', async () => {
    await expect(sh('svid run --as payments -- touch ran')).rejects.toThrow(
      /does not vouch for the name payments/,
    );
    await expect(sh('test -e ran')).rejects.toThrow();
  });

  it('tells names apart: an entry asks for its own', async () => {
    await expect(sh('svid run --as orders-2 -- svid x509 fetch')).rejects.toThrow(
      /no identity for this process/,
    );
  });
});
