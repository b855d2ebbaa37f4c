// Sends N-CREATE and N-SET as a scanner would, one association for all; prints one line of JSON with the answers.
const { readFileSync } = require('node:fs');
const { Client, Dataset, log, requests, constants } = require('dcmjs-dimse');

if (log && log.setLevel) log.setLevel('silent');
const asked = JSON.parse(readFileSync(0, 'utf8'));
const sopClass = constants.SopClass.ModalityPerformedProcedureStep;
const client = new Client();
const answers = asked.requests.map(() => null);

asked.requests.forEach((each, place) => {
  const Request = each.do === 'create' ? requests.NCreateRequest : requests.NSetRequest;
  const request = new Request(sopClass, each.uid);
  request.setDataset(new Dataset(each.elements));
  request.on('response', (response) => {
    answers[place] = { status: response.getStatus(), comment: response.getErrorComment() || '' };
  });
  client.addRequest(request);
});
client.on('networkError', (error) => {
  process.stderr.write(`network error: ${error}\n`);
  process.exit(2);
});
client.on('associationRejected', (result) => {
  process.stderr.write(`rejected: ${JSON.stringify(result)}\n`);
  process.exit(3);
});
client.on('closed', () => {
  process.stdout.write(`\n${JSON.stringify(answers)}\n`);
  process.exit(answers.includes(null) ? 4 : 0);
});
client.send('127.0.0.1', asked.port, asked.calling, asked.called);
