%% Shunt's rules at the server: one account can make another one answer nothing, so nobody can tell from the
%% server who is online (protocol.md section 3). For ejabberd 23.01 and later.
%%
%% Between two accounts pass, from client to server:
%%   - headlines to a bare JID: the sealed letters;
%%   - directed presence without content to a bare JID (available or unavailable): what a lease's end is told by;
%%   - the request for the key bundle (PEP node urn:shunt:1:keys:0), which the server answers by itself, in the
%%     same way whether its owner is online or not; the time of publication is taken out of the answer.
%% All else is dropped without an answer, whoever it is for: chats, subscriptions, presence with capabilities
%% (+notify would fetch PEP items from whoever is online), questions to full JIDs, errors. What the server itself
%% would say of a stanza that found nobody is dropped too. An account and the server speak freely with each other.
%% To itself, or to nobody in particular, an account says the same as to others, and publishes its key bundle, of a few KB
%% at most: no account makes nodes of its own, so the server stores one item for each.
%%
%% The time tells nothing either. Finding out that nobody is there is other work than a delivery, and would hold up
%% the sender's next stanza. So a session only hands over what is for another account, whoever that is, to a process
%% of its own, its courier. That leaves at a moment of its own choice with what has come till then, so that its work
%% coincides with nothing that the sender could time.
%%
%% Nobody floods anybody. What an account says to others is counted, in bytes, each stanza as one KB at least:
%%   - `unanswered`: to one account since that last sent it a message, from one hour's beginning to the next;
%%   - `strangers`: how many accounts there are that owe it such an answer;
%%   - `sent`: to all together, answered or not; a sixteenth flows back with each hour.
%% What is over a limit is dropped like all else: for its sender it is as if nobody were there, and phones send an SMS.
%% That depends on nothing but what the sender itself has sent and received, so it tells nothing. The counts outlive
%% sessions; each node has its own, in memory. Requests for a key bundle reach no phone and are not counted.
-module(mod_shunt).
-behaviour(gen_mod).
-behaviour(gen_server).

-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_opt_type/1, mod_doc/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export([sent/1, routed/1, received/1, carry/1]).

-define(KEYS, <<"urn:shunt:1:keys:0">>).
-define(PUBSUB, <<"http://jabber.org/protocol/pubsub">>).
%% A bundle has 1 KB at most, here in Base64 with what is around it.
-define(PUBLISHED_MAX, 4096).
-define(COURIER, mod_shunt_courier).
%% More than so many stanzas of one session do not wait: what comes then is dropped, whoever it is for.
-define(WAITING_MAX, 1000).
%% A courier leaves within so many milliseconds of the first stanza.
-define(LEAVES, 4).
%% After so many idle milliseconds a courier's memory is given back.
-define(IDLE, 10000).
-define(HOUR, 3600000).
%% The least that a stanza counts.
-define(LEAST, 1024).

start(Host, Options) ->
    Started = gen_mod:start_child(?MODULE, Host, Options),
    %% Before every other module: what is not to be sent shall not be acted on either.
    ejabberd_hooks:add(user_send_packet, Host, ?MODULE, sent, 1),
    ejabberd_hooks:add(user_receive_packet, Host, ?MODULE, received, 1),
    ejabberd_hooks:add(filter_packet, ?MODULE, routed, 1),
    Started.

stop(Host) ->
    ejabberd_hooks:delete(user_send_packet, Host, ?MODULE, sent, 1),
    ejabberd_hooks:delete(user_receive_packet, Host, ?MODULE, received, 1),
    case gen_mod:is_loaded_elsewhere(Host, ?MODULE) of
        false -> ejabberd_hooks:delete(filter_packet, ?MODULE, routed, 1);
        true -> ok
    end,
    gen_mod:stop_child(?MODULE, Host).

reload(_Host, _New, _Old) -> ok.

depends(_Host, _Options) -> [].

%% So that whoever waits for peers with 10,000 texts is through at once, read receipts and all.
mod_options(_Host) -> [{unanswered, 524288}, {strangers, 256}, {sent, 67108864}].

mod_opt_type(_Limit) -> econf:pos_int().

mod_doc() ->
    #{desc => <<"Closes the ways in which one account could find out whether another is online, and limits what an "
                "account may send.">>}.

%% Owns the counts of a host's accounts: {{From, To}, Unanswered}, {{strangers, From}, Count}, {{sent, From}, Bytes}.
init([Host, _Options]) ->
    Table = ets:new(table(Host), [named_table, public, {write_concurrency, true}]),
    {ok, _} = timer:send_interval(?HOUR, hour),
    {ok, {Host, Table}}.

handle_call(_, _, State) -> {reply, ok, State}.

handle_cast(_, State) -> {noreply, State}.

handle_info(hour, {Host, Table} = State) ->
    Back = gen_mod:get_module_opt(Host, ?MODULE, sent) div 16,
    ets:select_delete(Table, [{{{'$1', '_'}, '$2'}, [{'orelse', {'=/=', '$1', sent}, {'=<', '$2', Back}}], [true]}]),
    [ets:update_counter(Table, Key, {2, -Back}) || [Key] <- ets:match(Table, {'$1', '_'}), element(1, Key) =:= sent],
    {noreply, State};
handle_info(_, State) -> {noreply, State}.

table(Host) -> gen_mod:get_module_proc(Host, ?MODULE).

%% A client sends something. To other services of the server, such as its general pubsub, phones say nothing.
sent({Packet, State}) ->
    {From, To} = {account(xmpp:get_from(Packet)), account(xmpp:get_to(Packet))},
    Allowed = case {From, To} of
        {Same, Same} -> may_be_sent(Packet) orelse publishes_keys(Packet);
        {{_, Server}, {<<>>, Server}} -> true;
        {{_, Server}, {_, Server}} -> may_be_sent(Packet) andalso is_within_limits(From, To, Packet);
        {_, undefined} -> publishes_keys(Packet);
        _ -> false
    end,
    case Allowed of
        true -> hire_courier(), {Packet, State};
        false -> {stop, {drop, State}}
    end.

is_within_limits(_, _, Packet) when element(1, Packet) =:= iq -> true;
is_within_limits({From, Host}, {To, _}, Packet) ->
    %% As Erlang counts it: the text in it, and some hundred bytes.
    {Table, Size} = {table(Host), max(?LEAST, erlang:external_size(Packet))},
    Take = fun(Key, Cost, Limit) -> take(Table, Key, Cost, gen_mod:get_module_opt(Host, ?MODULE, Limit)) end,
    (ets:member(Table, {From, To}) orelse Take({strangers, From}, 1, strangers)) andalso
        Take({From, To}, Size, unanswered) andalso Take({sent, From}, Size, sent).

%% Once it is refused, all is taken.
take(Table, Key, Cost, Limit) ->
    [Before, _] = ets:update_counter(Table, Key, [{2, 0}, {2, Cost, Limit, Limit}], {Key, 0}),
    Before + Cost =< Limit.

%% A session gets something: who is sent a message by an account has been answered by it.
received({Packet, State}) ->
    {{From, Host}, {To, _}} = {account(xmpp:get_from(Packet)), account(xmpp:get_to(Packet))},
    case element(1, Packet) =:= message andalso ets:take(table(Host), {To, From}) of
        [_] -> ets:update_counter(table(Host), {strangers, To}, {2, -1, 0, 0}, {{strangers, To}, 0});
        _ -> ok
    end,
    {Packet, State}.

%% Runs in the session's process.
hire_courier() ->
    case get(?COURIER) of
        undefined ->
            {Session, Waiting} = {self(), atomics:new(1, [])},
            Courier = spawn(fun() -> monitor(process, Session), carry(Waiting) end),
            put(?COURIER, {Courier, Waiting});
        _ -> ok
    end.

%% Ends with its session, after what that said last.
carry(Waiting) ->
    receive
        {carry, Packet} ->
            timer:sleep(rand:uniform(?LEAVES)),
            leave(Waiting, Packet);
        {'DOWN', _, process, _, _} -> ok
    after ?IDLE -> erlang:hibernate(?MODULE, carry, [Waiting])
    end.

leave(Waiting, Packet) ->
    atomics:sub(Waiting, 1, 1),
    ejabberd_router:route(Packet),
    receive
        {carry, Next} -> leave(Waiting, Next)
    after 0 -> carry(Waiting)
    end.

%% Anything is routed, the server's own errors and answers included.
routed(drop) -> drop;
routed(Packet) ->
    case {between_accounts(Packet), get(?COURIER)} of
        {false, _} -> Packet;
        {true, undefined} -> judged(Packet);
        {true, {Courier, Waiting}} ->
            case atomics:add_get(Waiting, 1, 1) =< ?WAITING_MAX of
                true -> Courier ! {carry, Packet};
                false -> atomics:sub(Waiting, 1, 1)
            end,
            {stop, drop}
    end.

judged(Packet) ->
    case {element(1, Packet), xmpp:get_type(Packet)} of
        %% Whether a bundle exists is public: the answer about it passes, error or not.
        {iq, result} -> xmpp:set_els(Packet, [undated(Element) || Element <- xmpp:get_els(Packet)]);
        {iq, _} -> Packet;
        {_, error} -> {stop, drop};
        _ ->
            %% Who has no session is not looked for among the accounts, only for the error to be dropped.
            {User, Server, _} = jid:tolower(xmpp:get_to(Packet)),
            case ejabberd_sm:get_user_present_resources(User, Server) of
                [] -> {stop, drop};
                _ -> Packet
            end
    end.

%% ejabberd tells to the microsecond when an item was published: that is, when its owner was online.
undated(Element) ->
    {xmlel, Name, Attributes, Children} = xmpp:encode(Element),
    {xmlel, Name, Attributes, [Child || Child <- Children, not is_page(Child)]}.

is_page({xmlel, <<"set">>, _, _}) -> true;
is_page(_) -> false.

between_accounts(Packet) ->
    case {account(xmpp:get_from(Packet)), account(xmpp:get_to(Packet))} of
        {Same, Same} -> false;
        {{From, _}, {To, _}} -> From =/= <<>> andalso To =/= <<>>;
        _ -> false
    end.

account(undefined) -> undefined;
account(Jid) ->
    {User, Server, _} = jid:tolower(Jid),
    {User, Server}.

may_be_sent(Packet) ->
    {_, _, Resource} = jid:tolower(xmpp:get_to(Packet)),
    Resource =:= <<>> andalso
        case {element(1, Packet), xmpp:get_type(Packet)} of
            {message, headline} -> true;
            {presence, available} -> is_empty(Packet);
            {presence, unavailable} -> is_empty(Packet);
            {iq, get} -> asks_for_keys(xmpp:get_els(Packet));
            _ -> false
        end.

is_empty(Packet) ->
    element(4, xmpp:encode(Packet)) =:= [].

%% One element, whose one element asks for items of one of our nodes.
asks_for_keys(Asked) ->
    case in_pubsub(Asked) of
        [{xmlel, <<"items">>, _, _} = Items] -> is_of_keys(Items);
        _ -> false
    end.

%% As our uplink does: the item, and who may read it.
publishes_keys(Packet) ->
    element(1, Packet) =:= iq andalso xmpp:get_type(Packet) =:= set andalso
        byte_size(fxml:element_to_binary(xmpp:encode(Packet))) =< ?PUBLISHED_MAX andalso
        case in_pubsub(xmpp:get_els(Packet)) of
            [{xmlel, <<"publish">>, _, _} = Publish, {xmlel, <<"publish-options">>, _, _}] -> is_of_keys(Publish);
            _ -> false
        end.

in_pubsub([Asked]) ->
    Pubsub = xmpp:encode(Asked),
    case fxml:get_tag_attr_s(<<"xmlns">>, Pubsub) of
        ?PUBSUB -> element(4, Pubsub);
        _ -> []
    end;
in_pubsub(_) -> [].

is_of_keys(Element) ->
    fxml:get_tag_attr_s(<<"node">>, Element) =:= ?KEYS.
