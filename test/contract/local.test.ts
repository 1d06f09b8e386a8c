/** Local mode passes the contract of the provider port: where addresses are given out unasked, and with an agent. */
import { localSubject } from './local-subject.ts';
import { providerContract } from './suite.ts';

providerContract(localSubject('unasked'));
providerContract(localSubject('asked'));
