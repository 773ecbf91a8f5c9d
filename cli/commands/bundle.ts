// svid bundle show
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { BundleSchema } from '../../sdk/api/gen/spire/api/types/bundle_pb.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import { localClient, serverSocket } from '../endpoints.ts';
import { cliErrorOf } from '../errors.ts';
import { print, printJson, type OutputFormat } from '../output.ts';
import { jsonOf } from '../wire.ts';

export async function show(options: { socket?: string; output: OutputFormat }): Promise<void> {
  const socket = serverSocket(options.socket);
  using client = localClient(socket);
  const bundle = await client.unary(Bundle.method.getBundle, {}).catch((error: unknown) => {
    throw cliErrorOf(error, `the server at ${socket}`);
  });
  if (options.output === 'json') printJson(jsonOf(BundleSchema, bundle));
  else {
    print(
      pemOf(
        'CERTIFICATE',
        bundle.x509Authorities.map((authority) => authority.asn1),
      ),
    );
  }
}
