import { z } from 'zod'
import { ensureSession } from '../domain/sessions.ts'
import type { Call } from './handler.ts'

/** Of routes that belong to a push, where their sender says so. */
export const sessionQuery = z.object({ session: z.uuid().optional() })

/** Lets the session of a push live on, if the request names one. @throws CairnError SESSION_UNKNOWN */
export async function renewSession<Q, B>(
  { context, project, principal }: Call<Q, B>,
  session: string | undefined,
): Promise<void> {
  if (session) await ensureSession(context.stores, project, { tokenId: principal.token.id, session, intent: 'push' })
}
