/** The provider of laptop mode under the contract: on a machine made of values, and on real sockets. */
import { laptopSubject } from './laptop-subject.ts';
import { providerContract } from './suite.ts';

providerContract(laptopSubject('on values'));
providerContract(laptopSubject('on sockets'));
