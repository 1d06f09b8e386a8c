/**
 * Reads one rule back from its text, strictly: an option that this program does not write is an error, never passed
 * over. What the tracer walks and tests compare.
 */
import { SluiceError } from '../../core/errors.ts';
import { canonical } from './text.ts';

export type Match =
  | { readonly kind: 'source' | 'destination'; readonly range: string; readonly not: boolean }
  | { readonly kind: 'interface'; readonly name: string; readonly not: boolean }
  | { readonly kind: 'protocol'; readonly name: string }
  | { readonly kind: 'port'; readonly from: number; readonly to: number }
  | {
      readonly kind: 'set';
      readonly set: string;
      readonly fields: readonly ('src' | 'dst')[];
      readonly not: boolean;
    }
  | { readonly kind: 'local'; readonly of: 'source' | 'destination' }
  | { readonly kind: 'state'; readonly states: readonly string[]; readonly not: boolean }
  | { readonly kind: 'mark'; readonly value: number; readonly mask: number; readonly not: boolean }
  /** Of 2^31. */
  | { readonly kind: 'random'; readonly steps: number }
  | { readonly kind: 'remembered' | 'remember'; readonly list: string }
  | { readonly kind: 'program'; readonly bytecode: string };

export type Target =
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }
  | { readonly kind: 'return' | 'accept' | 'drop' | 'reject' }
  | { readonly kind: 'mark'; readonly value: number; readonly mask: number }
  | { readonly kind: 'dnat'; readonly address: string; readonly port: number }
  | { readonly kind: 'masquerade' };

export interface Rule {
  readonly matches: readonly Match[];
  readonly target: Target;
}

/**
 * @param text everything after `-A CHAIN `.
 * @throws SluiceError bug where anything is not understood.
 */
export function readRule(text: string): Rule {
  const words = canonical(text).match(/"[^"]*"|\S+/g) ?? [];
  const matches: Match[] = [];
  let target: Target | undefined;
  let at = 0;
  const bad = (why: string): never => {
    throw new SluiceError('bug', `rule "${text}": ${why}`, { code: 'UnknownRule' });
  };
  const next = (): string => {
    const word = words[at];
    at += 1;
    return word ?? bad('it ends too early');
  };
  const has = (word: string): boolean => {
    if (words[at] !== word) return false;
    at += 1;
    return true;
  };
  const expect = (word: string): void => {
    if (!has(word)) bad(`"${word}" was expected, not "${words[at] ?? ''}"`);
  };
  while (at < words.length) {
    const not = has('!');
    const option = next();
    switch (option) {
      case '-s':
      case '-d':
        matches.push({ kind: option === '-s' ? 'source' : 'destination', range: next(), not });
        break;
      case '-i':
        matches.push({ kind: 'interface', name: next(), not });
        break;
      case '-p':
        if (not) bad('negated protocol');
        matches.push({ kind: 'protocol', name: next() });
        break;
      case '-m':
        if (not) bad('negated module');
        module(next());
        break;
      case '-g':
        target = { kind: 'goto', chain: next() };
        break;
      case '-j':
        target = jump(next());
        break;
      default:
        bad(`option "${option}"`);
    }
  }
  return { matches, target: target ?? bad('no target') };

  function module(name: string): void {
    switch (name) {
      case 'tcp':
      case 'udp':
      case 'sctp': {
        expect('--dport');
        const [from = '', to = from] = next().split(':');
        matches.push({ kind: 'port', from: integer(from), to: integer(to) });
        return;
      }
      case 'comment':
        expect('--comment');
        next();
        return;
      case 'set': {
        const not = has('!');
        expect('--match-set');
        const set = next();
        const fields = next()
          .split(',')
          .map((field) => (field === 'src' || field === 'dst' ? field : bad(field)));
        matches.push({ kind: 'set', set, fields, not });
        return;
      }
      case 'addrtype': {
        const source = has('--src-type');
        if (!source) expect('--dst-type');
        expect('LOCAL');
        matches.push({ kind: 'local', of: source ? 'source' : 'destination' });
        return;
      }
      case 'conntrack': {
        const not = has('!');
        expect('--ctstate');
        matches.push({ kind: 'state', states: next().split(','), not });
        return;
      }
      case 'mark': {
        const not = has('!');
        expect('--mark');
        matches.push({ kind: 'mark', ...bits(next()), not });
        return;
      }
      case 'statistic':
        expect('--mode');
        expect('random');
        expect('--probability');
        matches.push({ kind: 'random', steps: integer(next().replace('#', '')) });
        return;
      case 'recent': {
        const set = has('--set');
        if (!set) {
          expect('--rcheck');
          expect('--seconds');
          integer(next());
          expect('--reap');
        }
        expect('--name');
        matches.push({ kind: set ? 'remember' : 'remembered', list: next() });
        return;
      }
      case 'bpf':
        expect('--bytecode');
        matches.push({ kind: 'program', bytecode: next().replaceAll('"', '') });
        return;
      default:
        bad(`module "${name}"`);
    }
  }

  function jump(name: string): Target {
    switch (name) {
      case 'RETURN':
        return { kind: 'return' };
      case 'ACCEPT':
        return { kind: 'accept' };
      case 'DROP':
        return { kind: 'drop' };
      case 'REJECT':
        expect('--reject-with');
        if (!['icmp-port-unreachable', 'icmp6-port-unreachable'].includes(next())) bad('kind of reject');
        return { kind: 'reject' };
      case 'MARK':
        expect('--set-xmark');
        return { kind: 'mark', ...bits(next()) };
      case 'MASQUERADE':
        has('--random-fully');
        return { kind: 'masquerade' };
      case 'DNAT': {
        expect('--to-destination');
        const [, bracketed, plain, port = ''] =
          /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(next()) ?? bad('DNAT');
        return { kind: 'dnat', address: bracketed ?? plain ?? '', port: integer(port) };
      }
      default:
        if (!/^[A-Z0-9-]+$/i.test(name)) bad(`target "${name}"`);
        return { kind: 'jump', chain: name };
    }
  }

  function integer(word: string): number {
    return /^\d+$/.test(word) ? Number(word) : bad(`number "${word}"`);
  }

  function bits(word: string): { value: number; mask: number } {
    const [value = '', mask = ''] = word.split('/');
    if (!/^0x[0-9a-f]+$/.test(value) || !/^0x[0-9a-f]+$/.test(mask)) bad(`mark "${word}"`);
    return { value: Number(value), mask: Number(mask) };
  }
}
