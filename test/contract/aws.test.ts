/** The AWS provider under the contract: beside its simulated account, and through the SDK and a socket. */
import { awsSubject } from './aws-subject.ts';
import { providerContract } from './suite.ts';

providerContract(awsSubject('in memory'));
providerContract(awsSubject('over the wire'));
