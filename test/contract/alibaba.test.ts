/** The Alibaba provider under the contract: beside its simulated account, and through the signed client and a socket. */
import { alibabaSubject } from './alibaba-subject.ts';
import { providerContract } from './suite.ts';

providerContract(alibabaSubject('in memory'));
providerContract(alibabaSubject('over the wire'));
